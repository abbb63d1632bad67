"""The stages composed into one process: images -> COCO mAP without bins on disk."""
