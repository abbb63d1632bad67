"""The next step of an error about a product: how it is made again."""

EXPORT_AGAIN = (
    "make it again with `python -m export` (make export AGAIN=1), the converted one with `python -m convert` "
    "(make om AGAIN=1)"
)
BUILD_AGAIN = "build it again (make om AGAIN=1), or copy it again with the files beside it"
PREPROCESS_AGAIN = "run `python -m preprocess` again (make preprocess AGAIN=1)"
INFER_AGAIN = "run inference again (make infer AGAIN=1)"
