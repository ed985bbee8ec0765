// What the detail of a fault consists of. wsdl2h does not know it, since no WSDL says it; without this
// gSOAP keeps the first problem alone, as text. It is appended to what wsdl2h makes of UserService.

class ns1__Problem {
  public:
    @std::string code;
    @std::string *field;
    @std::string *value;
    @std::string *entity;
    std::string __item;  // the sentence
};

struct SOAP_ENV__Detail {
    std::vector<ns1__Problem> ns1__error;
    char *__any;  // anything else
};
