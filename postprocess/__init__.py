"""Outputs of inference -> COCO detections -> the 12 COCO figures."""
