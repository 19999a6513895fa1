"""One vendor's SDK per file: request out, decoded stream in, events out, errors translated."""
