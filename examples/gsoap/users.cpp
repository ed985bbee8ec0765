// Users from C++, with gSOAP: list, add, edit, delete, and read the problems of a fault.
//
// How to run it (Debian: apt install curl g++ gsoap libgsoap-dev):
//
//     export SIPX_URL=http://127.0.0.1:8080/sipxconfig/services SIPX_USER=superadmin SIPX_PIN=...
//     curl -fsS -u "$SIPX_USER:$SIPX_PIN" -o UserService.wsdl "$SIPX_URL/UserService?wsdl"
//     wsdl2h -o UserService.h UserService.wsdl
//     cat problems.h >>UserService.h
//     soapcpp2 -j -C -L -x -c++11 -I/usr/share/gsoap/import UserService.h
//     g++ -o users users.cpp soapC.cpp soapUserServiceSoapBindingProxy.cpp -lgsoap++
//     ./users

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

#include "UserServiceSoapBinding.nsmap"
#include "soapUserServiceSoapBindingProxy.h"

const std::string NAME = "example-gsoap";

std::string setting(const char *variable) {
  const char *value = std::getenv(variable);
  if (!value) throw std::runtime_error(std::string(variable) + " is not set");
  return value;
}

struct Users : UserServiceSoapBindingProxy {
  std::string url = setting("SIPX_URL") + "/UserService";
  std::string user = setting("SIPX_USER"), pin = setting("SIPX_PIN");

  // Texts are UTF-8; without SOAP_C_UTFSTRING they would be ISO-8859-1.
  Users() : UserServiceSoapBindingProxy(SOAP_C_UTFSTRING) { soap_endpoint = url.c_str(); }

  // gSOAP forgets the login after each call.
  Users &login() {
    soap->userid = user.c_str();
    soap->passwd = pin.c_str();
    return *this;
  }
};

// Each operation returns an error number; what it is about is in the proxy.
void check(Users &users, int error) {
  if (!error) return;
  users.soap_stream_fault(std::cerr);
  throw std::runtime_error("the call failed");
}

// What may be null is a pointer, and NULL is nil or left out.
std::string or_dash(const std::string *text) { return text ? *text : "-"; }

void show(Users &users, ns1__UserSearch *search) {
  ns1__FindUser request;
  ns1__FindUserResponse found;
  request.search = search;
  check(users, users.login().findUser(&request, found));
  for (const ns1__User *user : found.users->item) {
    std::cout << "  " << user->userName << " " << or_dash(user->firstName) << " "
              << or_dash(user->lastName) << " " << or_dash(user->emailAddress);
    for (const std::string &alias : user->aliases) std::cout << " " << alias;
    std::cout << "\n";
  }
}

void add_and_edit(Users &users, ns1__UserSearch &this_one) {
  std::string first = "Zoë", last = "Łukasik", pin = "4711";
  ns1__User zoe;
  zoe.userName = NAME;
  zoe.firstName = &first;
  zoe.lastName = &last;
  zoe.aliases = {NAME + "-a", NAME + "-b"};
  ns1__AddUser addition;
  addition.user = &zoe;
  addition.pin = &pin;
  __ns1__addUserResponse added;
  check(users, users.login().addUser(&addition, added));
  std::cout << "added:\n";
  show(users, &this_one);

  // An edit names a field and its new value; NULL clears it.
  std::string address = "zoe@example.org";
  ns1__Property email, first_name;
  email.property = "emailAddress";
  email.value = &address;
  first_name.property = "firstName";
  first_name.value = nullptr;
  ns1__ManageUser change;
  change.search = &this_one;
  change.edit = {&email, &first_name};
  __ns1__manageUserResponse changed;
  check(users, users.login().manageUser(&change, changed));
  std::cout << "edited:\n";
  show(users, &this_one);

  // Whatever is wrong is told at once, and nothing has changed.
  ns1__User wrong;
  wrong.userName = NAME;
  wrong.aliases = {"not valid"};
  addition.user = &wrong;
  if (int error = users.login().addUser(&addition, added)) {
    const SOAP_ENV__Fault *fault = users.soap_fault();
    if (!fault->detail) check(users, error);  // no refusal: the server could not be asked
    std::cout << "refused: " << fault->faultstring << "\n";
    for (const ns1__Problem &problem : fault->detail->ns1__error)
      std::cout << "  " << problem.code << " " << or_dash(problem.field) << " "
                << or_dash(problem.value) << "\n";
  }
}

void remove(Users &users, ns1__UserSearch &this_one) {
  bool yes = true;
  ns1__ManageUser deletion;
  deletion.search = &this_one;
  deletion.deleteUser = &yes;
  __ns1__manageUserResponse deleted;
  check(users, users.login().manageUser(&deletion, deleted));
}

int main() try {
  Users users;
  std::string name = NAME;
  ns1__UserSearch this_one;
  this_one.byUserName = &name;
  std::cout << "everybody:\n";
  show(users, nullptr);  // without a search
  try {
    add_and_edit(users, this_one);
  } catch (...) {
    remove(users, this_one);
    throw;
  }
  remove(users, this_one);
  std::cout << "deleted:\n";
  show(users, &this_one);
} catch (const std::exception &problem) {
  std::cerr << problem.what() << "\n";
  return 1;
}
