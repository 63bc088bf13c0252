"""Files as sources: which, of what form, and how each form is read."""
