"""What everything stands on: errors, files that are never half written, work on all cores."""
