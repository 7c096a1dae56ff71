"""Pages for readers: the front page, the results page, claims, progress."""
