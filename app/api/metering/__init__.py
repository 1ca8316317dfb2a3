"""What an operation may cost, and who pays for it."""
