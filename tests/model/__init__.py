"""The life of a hold, as a model small enough to read and to be searched through."""
