"""Users from Python, with zeep: list, add, edit, delete, and read the problems of a fault.

How to run it:

    pip install zeep
    export SIPX_URL=http://127.0.0.1:8080/sipxconfig/services SIPX_USER=superadmin SIPX_PIN=...
    python users.py
"""

import os

import requests
import zeep
from zeep.transports import Transport

NAME = "example-python"
THIS_ONE = {"byUserName": NAME}

session = requests.Session()
session.auth = (os.environ["SIPX_USER"], os.environ["SIPX_PIN"])
wsdl = os.environ["SIPX_URL"] + "/UserService?wsdl"
users = zeep.Client(wsdl, transport=Transport(session=session)).service


def show(**search):
    # Nobody is None and no empty list, so "or []".
    for user in users.findUser(**search) or []:
        names = [user.firstName or "-", user.lastName or "-", user.emailAddress or "-"]
        print(" ", user.userName, *names, *user.aliases)


print("everybody:")
show()  # without a search

try:
    users.addUser(
        user={
            "userName": NAME,
            "firstName": "Zoë",
            "lastName": "Łukasik",
            "aliases": [f"{NAME}-a", f"{NAME}-b"],
        },
        pin="4711",
    )
    print("added:")
    show(search=THIS_ONE)

    # An edit names a field and its new value; None clears it.
    users.manageUser(
        search=THIS_ONE,
        edit=[
            {"property": "emailAddress", "value": "zoe@example.org"},
            {"property": "firstName", "value": None},
        ],
    )
    print("edited:")
    show(search=THIS_ONE)

    # Whatever is wrong is told at once, and nothing has changed.
    try:
        users.addUser(user={"userName": NAME, "aliases": ["not valid"]})
    except zeep.exceptions.Fault as fault:
        print("refused:", fault.message)
        for error in fault.detail:
            print(" ", error.get("code"), error.get("field"), error.get("value"))
finally:
    users.manageUser(search=THIS_ONE, deleteUser=True)
print("deleted:")
show(search=THIS_ONE)
