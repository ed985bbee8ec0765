"""The sipXconfig SOAP API on a stack that is alive."""

__version__ = "1.0.0"
