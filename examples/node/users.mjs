// Users from Node, with the package soap: list, add, edit, delete, and read the problems of a fault.
//
// How to run it:
//
//     npm install soap
//     export SIPX_URL=http://127.0.0.1:8080/sipxconfig/services SIPX_USER=superadmin SIPX_PIN=...
//     node users.mjs

import soap from 'soap';

const { SIPX_URL, SIPX_USER, SIPX_PIN } = process.env;
const NAME = 'example-node';
const THIS_ONE = { byUserName: NAME };

// The WSDL wants the login too.
const login = new soap.BasicAuthSecurity(SIPX_USER, SIPX_PIN);
const wsdl_headers = {};
login.addHeaders(wsdl_headers);
const users = await soap.createClientAsync(`${SIPX_URL}/UserService?wsdl`, { wsdl_headers });
users.setSecurity(login);

async function show(args) {
  const [found] = await users.findUserAsync(args);
  // Nobody is null; null and an empty list are left out.
  for (const user of found.users?.item ?? []) {
    const names = [user.firstName ?? '-', user.lastName ?? '-', user.emailAddress ?? '-'];
    console.log(' ', user.userName, ...names, ...(user.aliases ?? []));
  }
}

console.log('everybody:');
await show({}); // without a search; the {} must stand

try {
  await users.addUserAsync({
    user: {
      userName: NAME,
      firstName: 'Zoë',
      lastName: 'Łukasik',
      aliases: [`${NAME}-a`, `${NAME}-b`],
    },
    pin: '4711',
  });
  console.log('added:');
  await show({ search: THIS_ONE });

  // An edit names a field and its new value; null clears it.
  await users.manageUserAsync({
    search: THIS_ONE,
    edit: [
      { property: 'emailAddress', value: 'zoe@example.org' },
      { property: 'firstName', value: null },
    ],
  });
  console.log('edited:');
  await show({ search: THIS_ONE });

  // Whatever is wrong is told at once, and nothing has changed.
  try {
    await users.addUserAsync({ user: { userName: NAME, aliases: ['not valid'] } });
  } catch (error) {
    const fault = error.root?.Envelope.Body.Fault;
    if (!fault) throw error;
    console.log('refused:', fault.faultstring);
    // One problem alone is no array.
    for (const { attributes } of [fault.detail.error].flat()) {
      console.log(' ', attributes.code, attributes.field, attributes.value);
    }
  }
} finally {
  await users.manageUserAsync({ search: THIS_ONE, deleteUser: true });
}
console.log('deleted:');
await show({ search: THIS_ONE });
