"""Training and exporting the classifier; asks for the extra `train`, which no other module does."""
