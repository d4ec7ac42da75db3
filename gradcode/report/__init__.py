"""What a run leaves behind, as pictures and a page."""
