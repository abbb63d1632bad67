"""What boxes, categories and scores look like where they are not what COCO's format says."""
