"""What a user asks for, on whole photos and clips."""
