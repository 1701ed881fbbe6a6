"""Video files in and out, streamed in constant memory."""
