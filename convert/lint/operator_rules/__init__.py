"""The rules of single operators, a file per operator or family; `table` joins them."""
