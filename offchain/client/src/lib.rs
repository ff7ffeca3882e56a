//! The client: a library and a local OpenAI-compatible endpoint.
