"""Passwords that every guesser tries first, in lower case, of at least eight characters."""

from typing import Final

_LIST: Final = """
00000000 000000000 0000000000 0123456789 01234567 012345678 0987654321 09876543 10203040
11111111 111111111 1111111111 11112222 11223344 1122334455 12121212 123123123 12312312
12341234 1234512345 123454321 1234554321 123456123 12345678 123456789 1234567890 12345678910
123456789a 123456789q 12345678a 12345679 123456987 1234abcd 1234qwer 123654789 123698745
123abc123 123qweasd 123qwe123 12qwaszx 13131313 13579246 135792468 14141414 14725836
147258369 147852369 159357456 159753456 18436572 1a2b3c4d 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y
1qaz1qaz 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 20202020 21212121 22222222 222222222 23232323
2wsx3edc 33333333 333333333 3edc4rfv 44444444 444444444 55555555 555555555 55556666 5a5a5a5a
66666666 666666666 66668888 741852963 76543210 77777777 777777777 7777777777 78945612
789456123 7894561230 87654321 88888888 888888888 8888888888 963852741 987654321 9876543210
98765432 99999999 999999999 9999999999 a1234567 a12345678 a123456789 a1b2c3d4 a1b2c3d4e5
aa123456 aa12345678 aaaa1111 aaaaaaaa aaaaaaaaa abc12345 abc123456 abc123abc abcd1234
abcd12345 abcdefgh abcdefghi abcdefghij abcdefg1 access14 admin123 admin1234 admin12345
admin123456 administrator alexander alexandra andromeda angelina arsenal1 asdasdasd asdf1234
asdfasdf asdfghjk asdfghjkl asdfjkl; asdfqwer asdqwe123 aspire5520 babygirl babygirl1
baseball baseball1 basketball batman123 beautiful benjamin bismillah bitcoin1 bitcoin123
blessed1 blink182 bonjour1 brandon1 butterfly caroline challenge champion changeit changeme
changeme1 changeme123 charlie1 charlotte chelsea1 chocolate chocolate1 christian christina
christine christopher cinderella cocacola computer computer1 consumer cookie123 corvette
courtney crystal1 d1lakiss danielle dearbook december default1 destiny1 diamond1 dickhead
dolphin1 dragon12 dragon123 drowssap einstein elephant elizabeth emmanuel entropy1 ethereum
everton1 facebook facebook1 fernando fishing1 football football1 forever1 freedom1 friends1
fuckyou1 fuckyou123 gabriela garfield gateway1 genesis1 gfhjkm123 godbless goldfish google123
greenday guest123 happy123 harrypotter hello123 hello1234 helloworld hellokitty hockey123
ihateyou iloveyou iloveyou1 iloveyou12 iloveyou123 iloveyou2 immortal inuyasha isabella
iwantu00 jackson1 jasmine1 jennifer jessica1 jonathan jordan23 jordan123 julianne justin12
katherine kimberly kingkong kristina lastfm12 lebron23 legolas1 letmein1 letmein12 letmein123
leonardo linkedin liverpool liverpool1 logitech lovelove loveyou1 ltybc123 madison1 manchester
margaret marlboro master12 master123 matthew1 maverick melissa1 mercedes metallica michael1
michelle midnight minecraft monkey12 monkey123 motorola mustang1 mynameis myspace1 naruto123
natalie1 newyork1 nicholas nicole12 nirvana1 november nothing1 october1 outlook1 p@55w0rd
p@ssw0rd p@ssw0rd1 p@ssword pa$$w0rd pa55w0rd pa55word parola123 pass1234 pass12345 passpass
passw0rd passw0rd1 password password! password0 password1 password01 password1! password12
password123 password1234 password2 password3 patricia peanut12 personal pineapple playstation
pokemon1 pokemon123 porsche1 presario princess princess1 princess12 q1w2e3r4 q1w2e3r4t5
q1w2e3r4t5y6 qazwsx12 qazwsx123 qazwsxed qazwsxedc qazxswed qqqqqqqq qqww1122 qwaszx12
qweasd123 qweasdzx qweasdzxc qweqwe123 qweqweqwe qwer1234 qwerasdf qwert123 qwert12345
qwerty00 qwerty11 qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456 qwertyqwerty qwertyu1
qwertyui qwertyuio qwertyuiop qwertz123 rainbow1 rammstein ranger12 rebecca1 robinson
rockstar1 rootroot samantha samsung1 samsung123 satoshi1 scooter1 sebastian secret12 secret123
september server12 shadow12 shadow123 shannon1 simpsons skywalker slipknot snickers snowball
sparky12 spiderman spiderman1 spongebob starwars starwars1 stephanie strawberry sunflower
sunshine sunshine1 sunshine12 superman superman1 superman123 superstar swordfish system32
test1234 test12345 testing1 testing123 testtest thailand thomas12 thuglife timberland tinkerbell
toor1234 toyota12 trading1 trading123 training trustno1 tuesday1 undertaker universal user1234
valentina vanessa1 veronica vfhbyjxrf victoria vincent1 voyager1 warcraft welcome1 welcome12
welcome123 whatever whatever1 william1 windows1 windows10 wolverine woaini1314 woaini520
xbox3600 xxxxxxxx yamaha12 yankees1 yourmom1 yugioh12 zaq12wsx zaq1zaq1 zaq1xsw2 zaqxsw123
zinedine zxcasdqwe zxcv1234 zxcvbnm1 zxcvbnm12 zxcvbnm123 zxcvbnm, zxczxczxc zzzzzzzz
"""

COMMON_PASSWORDS: Final = frozenset(_LIST.split())
