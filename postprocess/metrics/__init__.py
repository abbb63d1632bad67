"""Detections and annotations -> the figures of COCO, as metrics.json and on the terminal."""
