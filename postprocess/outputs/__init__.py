"""What the model put out -> detections in the pixels of the images."""
