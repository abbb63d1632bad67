"""The stages composed into one process: images -> COCO mAP without bins on disk."""

import detector as detector  # before all others: signals are heard from here on
