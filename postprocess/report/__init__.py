"""An evaluation read back, and shown as one HTML page."""
