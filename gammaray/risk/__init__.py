"""What the book is exposed to, what it can lose, and when trading must be restricted."""
