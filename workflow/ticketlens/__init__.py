"""ticketlens: the lottery ticket hypothesis through the lens of random matrix theory."""

__version__ = "0.1.0"
