"""Feature banks: built, stored and read, with text features of the categories."""
