"""Wake-ups between writers and readers, one adapter a file."""
