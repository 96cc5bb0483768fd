//! What the API and the command line may ask of a running loop.
