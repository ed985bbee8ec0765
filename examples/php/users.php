<?php
// Users from PHP, with SoapClient: list, add, edit, delete, and read the problems of a fault.
//
// How to run it (Debian: apt install php-cli php-soap):
//
//     export SIPX_URL=http://127.0.0.1:8080/sipxconfig/services SIPX_USER=superadmin SIPX_PIN=...
//     php users.php

const NAME = 'example-php';
const THIS_ONE = ['byUserName' => NAME];

$users = new SoapClient(getenv('SIPX_URL') . '/UserService?wsdl', [
    'login' => getenv('SIPX_USER'),
    'password' => getenv('SIPX_PIN'),
    'features' => SOAP_SINGLE_ELEMENT_ARRAYS,  // a list of one is an array, too
    'cache_wsdl' => WSDL_CACHE_NONE,           // while trying: PHP else keeps a WSDL for a day
]);

function show(SoapClient $users, array $arguments): void
{
    // Without anybody there is no item, without aliases no aliases, so "?? []".
    foreach ($users->findUser($arguments)->users->item ?? [] as $user) {
        $names = [$user->firstName ?? '-', $user->lastName ?? '-', $user->emailAddress ?? '-'];
        echo "  $user->userName ", implode(' ', [...$names, ...$user->aliases ?? []]), "\n";
    }
}

echo "everybody:\n";
show($users, []);  // without a search

try {
    $users->addUser([
        'user' => [
            'userName' => NAME,
            'firstName' => 'Zoë',
            'lastName' => 'Łukasik',
            'aliases' => [NAME . '-a', NAME . '-b'],
        ],
        'pin' => '4711',
    ]);
    echo "added:\n";
    show($users, ['search' => THIS_ONE]);

    // An edit names a field and its new value; null clears it.
    $users->manageUser([
        'search' => THIS_ONE,
        'edit' => [
            ['property' => 'emailAddress', 'value' => 'zoe@example.org'],
            ['property' => 'firstName', 'value' => null],
        ],
    ]);
    echo "edited:\n";
    show($users, ['search' => THIS_ONE]);

    // Whatever is wrong is told at once, and nothing has changed.
    try {
        $users->addUser(['user' => ['userName' => NAME, 'aliases' => ['not valid']]]);
    } catch (SoapFault $fault) {
        echo 'refused: ', $fault->getMessage(), "\n";
        // PHP drops the attributes code, field and value; one problem alone is no array.
        foreach ((array) ($fault->detail->error ?? []) as $sentence) {
            echo "  $sentence\n";
        }
    }
} finally {
    $users->manageUser(['search' => THIS_ONE, 'deleteUser' => true]);
}
echo "deleted:\n";
show($users, ['search' => THIS_ONE]);
