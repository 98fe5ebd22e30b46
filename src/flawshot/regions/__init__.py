"""Views, crops, outlines and crop pictures of regions."""
