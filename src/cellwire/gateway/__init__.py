"""What asks packs again and again, decides what to believe, and keeps the newest readings."""
