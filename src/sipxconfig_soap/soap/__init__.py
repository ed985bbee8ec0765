"""The contract on the wire: message types, reader, writer, WSDL and faults.

All that knows Spyne's insides is in this package (docs/adr/0001-spyne-behind-one-package.md).
It knows nothing of HTTP and nothing of the database.
"""
