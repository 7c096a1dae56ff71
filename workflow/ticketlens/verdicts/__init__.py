"""Statistics over seeds: intervals, contrasts, claims, reference results. Never measures."""
