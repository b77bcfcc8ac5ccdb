"""Small real HTTP servers that speak as the archives do."""
