"""The image that scaffolds run in: its name, whether it is there, and how it is made."""

from worker.sandbox.image.build import build_image
from worker.sandbox.image.reference import check_image, image_info, image_reference

__all__ = ["build_image", "check_image", "image_info", "image_reference"]
