"""Outputs of inference -> COCO detections -> the 12 COCO figures."""

import detector as detector  # before all others: signals are heard from here on
