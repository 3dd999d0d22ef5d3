"""Back into the photo: masks, warps and blends."""
