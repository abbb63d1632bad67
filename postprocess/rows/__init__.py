"""Rows of COCO files as columns: millions of them fit in memory, whatever their ids are."""
