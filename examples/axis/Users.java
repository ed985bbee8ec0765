// Users from Java, with Axis 1.4: list, add, edit, delete, and read the problems of a fault.
//
// How to run it (Debian: apt install curl default-jdk-headless libaxis-java):
//
//     export SIPX_URL=http://127.0.0.1:8080/sipxconfig/services SIPX_USER=superadmin SIPX_PIN=...
//     curl -fsS -u "$SIPX_USER:$SIPX_PIN" -o UserService.wsdl "$SIPX_URL/UserService?wsdl"
//     J=/usr/share/java
//     export CLASSPATH=.:$J/axis.jar:$J/axis-jaxrpc.jar:$J/axis-saaj.jar:$J/wsdl4j.jar
//     CLASSPATH=$CLASSPATH:$J/commons-logging.jar:$J/commons-discovery.jar
//     java org.apache.axis.wsdl.WSDL2Java -p users UserService.wsdl
//     javac -encoding UTF-8 -nowarn -Xlint:none Users.java users/*.java
//     java Users

import java.net.URL;
import java.rmi.RemoteException;
import org.apache.axis.AxisFault;
import org.w3c.dom.Element;
import users.*;

public class Users {
    static final String NAME = "example-axis";
    static UserServiceSoapBindingStub users;

    static String orDash(String text) {
        return text == null ? "-" : text;
    }

    static void show(UserSearch search) throws RemoteException {
        FindUser request = new FindUser();
        request.setSearch(search);
        for (User user : users.findUser(request).getUsers()) {  // nobody is an array of length 0
            String[] aliases = user.getAliases();  // but no aliases are null
            System.out.println("  " + user.getUserName() + " " + orDash(user.getFirstName()) + " "
                + orDash(user.getLastName()) + " " + orDash(user.getEmailAddress()) + " "
                + (aliases == null ? "" : String.join(" ", aliases)));
        }
    }

    static void add(User user, String pin) throws RemoteException {
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

    static void addAndEdit(UserSearch thisOne) throws RemoteException {
        User zoe = new User();
        zoe.setUserName(NAME);
        zoe.setFirstName("Zoë");
        zoe.setLastName("Łukasik");
        zoe.setAliases(new String[] {NAME + "-a", NAME + "-b"});
        add(zoe, "4711");
        System.out.println("added:");
        show(thisOne);

        // An edit names a field and its new value; null clears it.
        ManageUser change = new ManageUser();
        change.setSearch(thisOne);
        change.setEdit(new Property[] {
            edit("emailAddress", "zoe@example.org"), edit("firstName", null)});
        users.manageUser(change);
        System.out.println("edited:");
        show(thisOne);

        // Whatever is wrong is told at once, and nothing has changed.
        User wrong = new User();
        wrong.setUserName(NAME);
        wrong.setAliases(new String[] {"not valid"});
        try {
            add(wrong, null);
        } catch (AxisFault fault) {
            if (fault.getFaultDetails() == null) throw fault;
            System.out.println("refused: " + fault.getFaultString());
            for (Element error : fault.getFaultDetails()) {
                if (!"error".equals(error.getLocalName())) continue;  // Axis adds some of its own
                System.out.println("  " + error.getAttribute("code") + " "
                    + error.getAttribute("field") + " " + error.getAttribute("value"));
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        URL url = new URL(System.getenv("SIPX_URL") + "/UserService");
        users = (UserServiceSoapBindingStub) new ConfigImplServiceLocator().getUserService(url);
        users.setUsername(System.getenv("SIPX_USER"));
        users.setPassword(System.getenv("SIPX_PIN"));
        UserSearch thisOne = new UserSearch();
        thisOne.setByUserName(NAME);

        System.out.println("everybody:");
        show(null);  // without a search
        try {
            addAndEdit(thisOne);
        } finally {
            ManageUser deletion = new ManageUser();
            deletion.setSearch(thisOne);
            deletion.setDeleteUser(true);
            users.manageUser(deletion);
        }
        System.out.println("deleted:");
        show(thisOne);
    }
}
