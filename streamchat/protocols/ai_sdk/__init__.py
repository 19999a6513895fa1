"""The AI SDK's UI message stream, as ``useChat`` sends and reads it."""
