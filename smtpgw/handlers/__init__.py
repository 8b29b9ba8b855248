"""What users import in their own code."""
