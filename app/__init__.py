"""The application: settings, assembly, the answerer, and the doors people use: command line, chat page, HTTP API."""
