"""The words that invented people are made of, in many alphabets, as texts split by ` | `.

Every script has eight first names, eight last names and eight cities, so that a roll of eight picks
from any of them. Addresses are ASCII whatever the name is, as real ones are.
"""

from __future__ import annotations

from typing import NamedTuple


class Script(NamedTuple):
    """How one alphabet writes people; `percent` of all people use it."""

    percent: int
    first: str
    last: str
    cities: str


SCRIPTS = [
    Script(
        58,
        "Anna | Liam | Siobhán | Jean-Luc | Mary Ann | Christopher | Olivia | Ana Sofía",
        "O'Brien | Smith | Montgomery | van der Berg | Lefèvre | Featherstone | Lee | Núñez",
        "London | Dublin | San Francisco | Rotterdam | Besançon | New York | Leeds | Bogotá",
    ),
    Script(
        14,
        "Zoë | Łukasz | Çağla | Nguyễn Thị | Þórdís | Jürgen | Šárka | Ağca",
        "Müller-Lüdenscheidt | Wiśniewska | Yılmaz | Trần | Björnsdóttir | Ćosić | Dvořák | "
        "Ångström",
        "Köln | Łódź | İzmir | Đà Nẵng | Reykjavík | Niš | Plzeň | Malmö",
    ),
    Script(
        8,
        "Юлия | Сергей | Олександр | Ђорђе | Анна-Мария | Владимир | Ёлка | Гүлнара",
        "Петрова | Рахманинов | Шевченко | Јовановић | Достоевская | Ким | Щукина | Әлиева",
        "Москва | Санкт-Петербург | Київ | Београд | Нижний Новгород | Алматы | Орёл | Бишкек",
    ),
    Script(
        6,
        "Ελένη | Γιώργος | Αλέξανδρος | Σοφία | Ιωάννης | Δήμητρα | Νίκος | Χρυσούλα",
        "Παπαδοπούλου | Νικολαΐδης | Οικονόμου | Καζαντζάκης | Ρήγας | Ψαρρού | Λάμπρου | Ζέρβας",
        "Αθήνα | Θεσσαλονίκη | Ηράκλειο | Πάτρα | Ιωάννινα | Βόλος | Χανιά | Λευκωσία",
    ),
    Script(
        4,
        "فاطمة | محمد | عبد الرحمن | ليلى | یاسمین | خالد | نور | زینب",
        "الهاشمي | بن يوسف | حداد | القحطاني | رضایی | منصور | الخوري | صدیقی",
        "القاهرة | الدار البيضاء | بيروت | الرياض | تهران | عمّان | دمشق | لاہور",
    ),
    Script(
        2,
        "נועה | יוסף | שרה־לאה | אבישג | דוד | תמר | איתן | רחל",
        "לוי | כהן | בן־דוד | אברהמי | פרידמן | מזרחי | ביטון | שפירא",
        "תל אביב | ירושלים | חיפה | באר שבע | אילת | נצרת | עכו | צפת",
    ),
    Script(
        6,
        "美咲 | 伟 | さくら | 지우 | 宗一郎 | 秀英 | 민준 | ひかり",
        "佐藤 | 王 | 小鳥遊 | 김 | 勅使河原 | 欧阳 | 황보 | 長谷川",
        "東京 | 北京 | 横浜市 | 서울특별시 | 名古屋 | 臺北 | 부산 | 札幌",
    ),
    Script(
        2,
        "आरती | สมชาย | தமிழ்ச்செல்வி | 🌸 Hana | ანა | Անահիտ | 👩🏽‍🚀 Nia | አበበ",
        "शर्मा | ศรีสุวรรณ | முருகன் | Tanaka 🎌 | ბერიძე | Պետրոսյան | Okafor | ቢቂላ",
        "मुंबई | กรุงเทพมหานคร | சென்னை | Ōsaka | თბილისი | Երևան | Lagos | አዲስ አበባ",
    ),
]

LOCALS = (
    "anna | liam | siobhan | jean-luc | mary_ann | chris | olivia | ana | zoe | lukasz | "
    "cagla | thi | thordis | juergen | sarka | yulia | sergey | oleks | eleni | giorgos | "
    "fatima | mohamed | layla | noa | yosef | misaki | wei | sakura | jiwoo | arti"
)

DOMAINS = (
    "example.com | example.com | example.com | example.org | example.org | example.net | "
    "mail.example.com | post.example.org | shop-eu.example.net | uni.campus.example.org"
)

# Only email-validator, or an expression that knows all alphabets, can decide these.
WIDE_DOMAINS = (
    "bücher.example.com | почта.example.org | παράδειγμα.example.com | 例え.example.net | "
    "דוגמה.example.com | मेल.example.org | straße.example.net | żółw.example.com"
)

# What people type. `{}` is where the local part goes; none of these is an address anywhere.
BAD_ADDRESSES = (
    "{} | {}@ | {}@example | {}@@example.com | {} example.com | n/a | {}@exam ple.com | "
    "{}..x@example.com | .{}@example.com | {}@example..com | {}@-example.com | "
    "mailto:{}@example.com | {}@example.com;x@example.com | {}@example.com. | "
    "{}@exa_mple.com | {}@bücher..example.com | {}@例え | unknown | {},@example.com"
)

STREETS = (
    "High Street | Kirchstraße | Rue de l'Église | Calle Mayor | Via Garibaldi | "
    "Λεωφόρος Αθηνών | улица Ленина | شارع الحمرا | רחוב הרצל | 中山路 | Long Acre, Flat B | "
    "Nørregade"
)

COUNTRIES = "GB | IE | DE | FR | GR | PL | TR | RS | UA | EG | IL | JP | CN | KR | IN | US"

LANGUAGES = "en | de | el | ru | ar | he | ja | ko | pl | tr"

NOTES = (
    "Asked for a call back about the order of last week, prefers mornings | "
    'Says "no phone calls, please"; writes instead, and answers within the hour | '
    "Moved house in spring; new address confirmed by letter and once more at the till | "
    "Gift card bought for a colleague's birthday, to be sent in an envelope of its own | "
    "Συνδρομητής από το 2019, μέλος της λέσχης βιβλίου | "
    "постоянный клиент, любит чёрный чай и книги | "
    "店舗受け取りを希望。平日の夕方に来店予定です。 | "
    "Two lines:\nring twice, then leave it with the neighbour on the second floor"
)
