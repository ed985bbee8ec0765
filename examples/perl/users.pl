# Users from Perl, with SOAP::Lite: list, add, edit, delete, and read the problems of a fault.
#
# How to run it (Debian: apt install libsoap-lite-perl):
#
#     export SIPX_URL=http://127.0.0.1:8080/sipxconfig/services SIPX_USER=superadmin SIPX_PIN=...
#     perl users.pl

use v5.20;
use warnings;
use utf8;
use open ':std', ':encoding(UTF-8)';
use SOAP::Lite;

my $NAME = 'example-perl';

# SOAP::Lite cannot read these WSDLs, so the namespace and the elements are written here.
my $users = SOAP::Lite->proxy("$ENV{SIPX_URL}/UserService")
    ->ns('http://www.sipfoundry.org/2007/08/21/ConfigService')
    ->on_fault(sub { my ($soap, $fault) = @_; die ref $fault ? $fault : $soap->transport->status });
sub SOAP::Transport::HTTP::Client::get_basic_credentials { @ENV{qw(SIPX_USER SIPX_PIN)} }

# Without a type SOAP::Lite guesses one, and packs what is not ASCII as base64.
sub text { my ($name, @values) = @_; map { SOAP::Data->name($name => $_)->type('string') } @values }
sub element { my ($name, @children) = @_; SOAP::Data->name($name => \SOAP::Data->value(@children)) }

my $this_one = element(search => text(byUserName => $NAME));

sub show {
    my $found = $users->FindUser(@_);
    my $i = 0;
    for my $user ($found->valueof('//users/item')) {    # nobody is an empty list
        $i++;
        # A hash has but one value for each name; what repeats is read by its path.
        say join ' ', ' ', $user->{userName},
            (map { $user->{$_} // '-' } qw(firstName lastName emailAddress)),
            $found->valueof("//users/[$i]/aliases");
    }
}

say 'everybody:';
show();    # without a search

my $done = eval {
    $users->AddUser(
        element(user =>
            text(userName => $NAME),
            text(firstName => 'Zoë'),
            text(lastName => 'Łukasik'),
            text(aliases => "$NAME-a", "$NAME-b")),
        text(pin => '4711'));
    say 'added:';
    show($this_one);

    # An edit names a field and its new value; undef clears it.
    $users->ManageUser($this_one,
        element(edit => text(property => 'emailAddress'), text(value => 'zoe@example.org')),
        element(edit => text(property => 'firstName'), text(value => undef)));
    say 'edited:';
    show($this_one);

    # Whatever is wrong is told at once, and nothing has changed.
    my $added = eval {
        $users->AddUser(element(user => text(userName => $NAME), text(aliases => 'not valid')));
    };
    if (!$added and my $fault = $@) {
        die $fault unless ref $fault;
        say 'refused: ', $fault->faultstring;
        say join ' ', ' ', @{ $_->attr }{qw(code field value)} for $fault->dataof('//detail/error');
    }
    1;
};
my $problem = $@;
$users->ManageUser($this_one, SOAP::Data->name(deleteUser => 'true')->type('boolean'));
die ref $problem ? $problem->faultstring : $problem unless $done;
say 'deleted:';
show($this_one);
