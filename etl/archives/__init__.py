"""Public catalogues: fetching them, taking them in from files, and matching them with the stars."""
