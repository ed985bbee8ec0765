// Users from Java, with JAX-WS: list, add, edit, delete, and read the problems of a fault.
//
// How to run it (Debian: apt install curl default-jdk-headless jaxws):
//
//     export SIPX_URL=http://127.0.0.1:8080/sipxconfig/services SIPX_USER=superadmin SIPX_PIN=...
//     curl -fsS -u "$SIPX_USER:$SIPX_PIN" -o UserService.wsdl "$SIPX_URL/UserService?wsdl"
//     wsimport -Xnocompile -p users UserService.wsdl
//     export CLASSPATH=.:/usr/share/java/jaxws-rt.jar
//     javac -encoding UTF-8 Users.java users/*.java
//     java Users

import java.net.URL;
import java.nio.file.Paths;
import java.util.Map;
import javax.xml.soap.DetailEntry;
import javax.xml.ws.BindingProvider;
import javax.xml.ws.soap.SOAPFaultException;
import users.*;

public class Users {
    static final String NAME = "example-jaxws";
    static UserService users;

    static String orDash(String text) {
        return text == null ? "-" : text;
    }

    static void show(UserSearch search) {
        FindUser request = new FindUser();
        request.setSearch(search);
        for (User user : users.findUser(request).getUsers().getItem()) {  // nobody is an empty list
            System.out.println("  " + user.getUserName() + " " + orDash(user.getFirstName()) + " "
                + orDash(user.getLastName()) + " " + orDash(user.getEmailAddress()) + " "
                + String.join(" ", user.getAliases()));
        }
    }

    static void add(User user, String pin) {
        AddUser request = new AddUser();
        request.setUser(user);
        request.setPin(pin);
        users.addUser(request);
    }

    static Property edit(String property, String value) {
        Property edit = new Property();
        edit.setProperty(property);
        edit.setValue(value);
        return edit;
    }

    static void addAndEdit(UserSearch thisOne) {
        User zoe = new User();
        zoe.setUserName(NAME);
        zoe.setFirstName("Zoë");
        zoe.setLastName("Łukasik");
        zoe.getAliases().add(NAME + "-a");
        zoe.getAliases().add(NAME + "-b");
        add(zoe, "4711");
        System.out.println("added:");
        show(thisOne);

        // An edit names a field and its new value; null clears it.
        ManageUser change = new ManageUser();
        change.setSearch(thisOne);
        change.getEdit().add(edit("emailAddress", "zoe@example.org"));
        change.getEdit().add(edit("firstName", null));
        users.manageUser(change);
        System.out.println("edited:");
        show(thisOne);

        // Whatever is wrong is told at once, and nothing has changed.
        User wrong = new User();
        wrong.setUserName(NAME);
        wrong.getAliases().add("not valid");
        try {
            add(wrong, null);
        } catch (SOAPFaultException fault) {
            if (fault.getFault().getDetail() == null) throw fault;
            System.out.println("refused: " + fault.getFault().getFaultString());
            fault.getFault().getDetail().getDetailEntries().forEachRemaining(each -> {
                DetailEntry error = (DetailEntry) each;
                System.out.println("  " + error.getAttribute("code") + " "
                    + error.getAttribute("field") + " " + error.getAttribute("value"));
            });
        }
    }

    public static void main(String[] arguments) throws Exception {
        // The WSDL that was fetched: JAX-WS reads it again at run time, without a login.
        URL wsdl = Paths.get("UserService.wsdl").toUri().toURL();
        users = new ConfigImplService(wsdl).getUserService();
        Map<String, Object> context = ((BindingProvider) users).getRequestContext();
        context.put(BindingProvider.ENDPOINT_ADDRESS_PROPERTY,
            System.getenv("SIPX_URL") + "/UserService");
        context.put(BindingProvider.USERNAME_PROPERTY, System.getenv("SIPX_USER"));
        context.put(BindingProvider.PASSWORD_PROPERTY, System.getenv("SIPX_PIN"));
        UserSearch thisOne = new UserSearch();
        thisOne.setByUserName(NAME);

        System.out.println("everybody:");
        show(null);  // without a search
        try {
            addAndEdit(thisOne);
        } finally {
            ManageUser deletion = new ManageUser();
            deletion.setSearch(thisOne);
            // What is optional and nillable comes wrapped.
            deletion.setDeleteUser(new ObjectFactory().createManageUserDeleteUser(true));
            users.manageUser(deletion);
        }
        System.out.println("deleted:");
        show(thisOne);
    }
}
