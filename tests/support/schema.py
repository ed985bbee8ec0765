"""The schema that a WSDL embeds, to validate messages against."""

from __future__ import annotations

from lxml import etree

_XSD_SCHEMA = "{http://schemas.xmlsoap.org/wsdl/}types/{http://www.w3.org/2001/XMLSchema}schema"


def schema_of(wsdl: bytes) -> etree.XMLSchema:
    """Compile the one schema inside a WSDL.

    Raises:
        ValueError: the WSDL holds no schema, or more than one.
        lxml.etree.XMLSchemaParseError: the schema is not valid.
    """
    (schema,) = etree.fromstring(wsdl).findall(_XSD_SCHEMA)
    # Written out and read again, so that it stands alone with the prefixes of the whole document.
    return etree.XMLSchema(etree.fromstring(etree.tostring(schema)))
