"""The countries of ISO 3166-1, and the code that somebody meant who wrote something else.

``XK`` is among them although ISO leaves it to its users: Stripe, the European Union and geolocation all mean Kosovo.
"""

from __future__ import annotations

import re
from functools import cache
from unicodedata import normalize

#: Alpha-2 code, alpha-3 code and English names, common ones first.
_COUNTRIES = """
AD AND Andorra; AE ARE United Arab Emirates/UAE/Emirates; AF AFG Afghanistan; AG ATG Antigua and Barbuda;
AI AIA Anguilla; AL ALB Albania; AM ARM Armenia; AO AGO Angola; AQ ATA Antarctica; AR ARG Argentina;
AS ASM American Samoa; AT AUT Austria/Republic of Austria; AU AUS Australia; AW ABW Aruba;
AX ALA Åland Islands/Aland; AZ AZE Azerbaijan; BA BIH Bosnia and Herzegovina/Bosnia; BB BRB Barbados;
BD BGD Bangladesh; BE BEL Belgium; BF BFA Burkina Faso; BG BGR Bulgaria; BH BHR Bahrain; BI BDI Burundi;
BJ BEN Benin; BL BLM Saint Barthélemy; BM BMU Bermuda; BN BRN Brunei/Brunei Darussalam;
BO BOL Bolivia/Plurinational State of Bolivia; BQ BES Bonaire/Caribbean Netherlands/Bonaire Sint Eustatius and Saba;
BR BRA Brazil; BS BHS Bahamas; BT BTN Bhutan; BV BVT Bouvet Island; BW BWA Botswana; BY BLR Belarus/Belorussia;
BZ BLZ Belize; CA CAN Canada; CC CCK Cocos Islands/Keeling Islands/Cocos Keeling Islands;
CD COD Democratic Republic of the Congo/DR Congo/DRC/Congo Kinshasa/Zaire; CF CAF Central African Republic;
CG COG Republic of the Congo/Congo Brazzaville/Congo; CH CHE Switzerland/Swiss Confederation;
CI CIV Côte d'Ivoire/Ivory Coast; CK COK Cook Islands; CL CHL Chile; CM CMR Cameroon;
CN CHN China/Peoples Republic of China/PRC/Mainland China; CO COL Colombia; CR CRI Costa Rica; CU CUB Cuba;
CV CPV Cabo Verde/Cape Verde; CW CUW Curaçao; CX CXR Christmas Island; CY CYP Cyprus; CZ CZE Czechia/Czech Republic;
DE DEU Germany/Federal Republic of Germany; DJ DJI Djibouti; DK DNK Denmark; DM DMA Dominica;
DO DOM Dominican Republic; DZ DZA Algeria; EC ECU Ecuador; EE EST Estonia; EG EGY Egypt; EH ESH Western Sahara;
ER ERI Eritrea; ES ESP Spain/Kingdom of Spain; ET ETH Ethiopia; FI FIN Finland; FJ FJI Fiji;
FK FLK Falkland Islands/Falklands/Malvinas/Falkland Islands Malvinas;
FM FSM Micronesia/Federated States of Micronesia; FO FRO Faroe Islands; FR FRA France/French Republic; GA GAB Gabon;
GB GBR United Kingdom/UK/Great Britain/Britain/England/Scotland/Wales/Northern Ireland/
United Kingdom of Great Britain and Northern Ireland;
GD GRD Grenada; GE GEO Georgia; GF GUF French Guiana; GG GGY Guernsey; GH GHA Ghana; GI GIB Gibraltar;
GL GRL Greenland; GM GMB Gambia; GN GIN Guinea; GP GLP Guadeloupe; GQ GNQ Equatorial Guinea;
GR GRC Greece/EL/Hellenic Republic; GS SGS South Georgia and the South Sandwich Islands; GT GTM Guatemala;
GU GUM Guam; GW GNB Guinea-Bissau; GY GUY Guyana; HK HKG Hong Kong/Hong Kong SAR/Hong Kong SAR China;
HM HMD Heard Island and McDonald Islands; HN HND Honduras; HR HRV Croatia; HT HTI Haiti; HU HUN Hungary;
ID IDN Indonesia; IE IRL Ireland/Republic of Ireland; IL ISR Israel; IM IMN Isle of Man;
IN IND India/Republic of India; IO IOT British Indian Ocean Territory; IQ IRQ Iraq;
IR IRN Iran/Islamic Republic of Iran; IS ISL Iceland; IT ITA Italy/Italian Republic; JE JEY Jersey; JM JAM Jamaica;
JO JOR Jordan; JP JPN Japan; KE KEN Kenya; KG KGZ Kyrgyzstan/Kyrgyz Republic; KH KHM Cambodia; KI KIR Kiribati;
KM COM Comoros; KN KNA Saint Kitts and Nevis; KP PRK North Korea/Democratic Peoples Republic of Korea/DPRK;
KR KOR South Korea/Republic of Korea; KW KWT Kuwait; KY CYM Cayman Islands; KZ KAZ Kazakhstan;
LA LAO Laos/Lao Peoples Democratic Republic; LB LBN Lebanon; LC LCA Saint Lucia; LI LIE Liechtenstein;
LK LKA Sri Lanka; LR LBR Liberia; LS LSO Lesotho; LT LTU Lithuania; LU LUX Luxembourg; LV LVA Latvia; LY LBY Libya;
MA MAR Morocco; MC MCO Monaco; MD MDA Moldova/Republic of Moldova; ME MNE Montenegro;
MF MAF Saint Martin/Saint Martin French part; MG MDG Madagascar; MH MHL Marshall Islands;
MK MKD North Macedonia/Macedonia; ML MLI Mali; MM MMR Myanmar/Burma; MN MNG Mongolia; MO MAC Macau/Macao/Macao SAR;
MP MNP Northern Mariana Islands; MQ MTQ Martinique; MR MRT Mauritania; MS MSR Montserrat; MT MLT Malta;
MU MUS Mauritius; MV MDV Maldives; MW MWI Malawi; MX MEX Mexico/United Mexican States; MY MYS Malaysia;
MZ MOZ Mozambique; NA NAM Namibia; NC NCL New Caledonia; NE NER Niger; NF NFK Norfolk Island; NG NGA Nigeria;
NI NIC Nicaragua; NL NLD Netherlands/Holland/Kingdom of the Netherlands; NO NOR Norway; NP NPL Nepal;
NR NRU Nauru/Naoero; NU NIU Niue; NZ NZL New Zealand/Aotearoa; OM OMN Oman; PA PAN Panama; PE PER Peru;
PF PYF French Polynesia; PG PNG Papua New Guinea; PH PHL Philippines/Republic of the Philippines; PK PAK Pakistan;
PL POL Poland/Republic of Poland; PM SPM Saint Pierre and Miquelon; PN PCN Pitcairn/Pitcairn Islands;
PR PRI Puerto Rico; PS PSE Palestine/State of Palestine/Palestinian Territories/Palestinian Territory Occupied;
PT PRT Portugal/Portuguese Republic; PW PLW Palau; PY PRY Paraguay; QA QAT Qatar; RE REU Réunion; RO ROU Romania;
RS SRB Serbia; RU RUS Russia/Russian Federation; RW RWA Rwanda; SA SAU Saudi Arabia/Kingdom of Saudi Arabia;
SB SLB Solomon Islands; SC SYC Seychelles; SD SDN Sudan; SE SWE Sweden; SG SGP Singapore/Republic of Singapore;
SH SHN Saint Helena/Saint Helena Ascension and Tristan da Cunha; SI SVN Slovenia; SJ SJM Svalbard and Jan Mayen;
SK SVK Slovakia/Slovak Republic; SL SLE Sierra Leone; SM SMR San Marino; SN SEN Senegal; SO SOM Somalia;
SR SUR Suriname; SS SSD South Sudan; ST STP Sao Tome and Principe; SV SLV El Salvador;
SX SXM Sint Maarten/Sint Maarten Dutch part; SY SYR Syria/Syrian Arab Republic; SZ SWZ Eswatini/Swaziland;
TC TCA Turks and Caicos Islands; TD TCD Chad; TF ATF French Southern Territories; TG TGO Togo; TH THA Thailand;
TJ TJK Tajikistan; TK TKL Tokelau; TL TLS Timor-Leste/East Timor; TM TKM Turkmenistan; TN TUN Tunisia; TO TON Tonga;
TR TUR Türkiye/Turkey; TT TTO Trinidad and Tobago; TV TUV Tuvalu;
TW TWN Taiwan/Taiwan Province of China/Republic of China; TZ TZA Tanzania/United Republic of Tanzania;
UA UKR Ukraine; UG UGA Uganda; UM UMI United States Minor Outlying Islands;
US USA United States/United States of America/America; UY URY Uruguay; UZ UZB Uzbekistan;
VA VAT Vatican City/Holy See/Vatican; VC VCT Saint Vincent and the Grenadines;
VE VEN Venezuela/Bolivarian Republic of Venezuela; VG VGB British Virgin Islands;
VI VIR US Virgin Islands/United States Virgin Islands; VN VNM Vietnam/Viet Nam; VU VUT Vanuatu;
WF WLF Wallis and Futuna; WS WSM Samoa; XK XKX Kosovo; YE YEM Yemen; YT MYT Mayotte;
ZA ZAF South Africa/Republic of South Africa; ZM ZMB Zambia; ZW ZWE Zimbabwe
"""

_FILLERS = frozenset({"the", "of", "and"})


@cache
def country_codes() -> frozenset[str]:
    """Return all alpha-2 codes, in upper case."""
    codes, _ = _known()
    return frozenset(codes.values())


def country_code_meant(value: str) -> str | None:
    """Return the alpha-2 code of a country that is written in another way, or None.

    :param value: An alpha-3 code, an English name with its words in any order, or another usual short form.
    """
    codes, names = _known()
    code = "".join(value.replace(".", "").split()).upper()
    return (codes.get(code) if value.isascii() else None) or names.get(_words(value))


@cache
def _known() -> tuple[dict[str, str], dict[frozenset[str], str]]:
    codes: dict[str, str] = {}
    names: dict[frozenset[str], str] = {}
    for entry in _COUNTRIES.replace("\n", " ").split(";"):
        alpha_2, alpha_3, written = entry.split(maxsplit=2)
        codes |= {alpha_2: alpha_2, alpha_3: alpha_2}
        names |= {_words(name): alpha_2 for name in written.split("/")}
    return codes, names


def _words(value: str) -> frozenset[str]:
    """Return what names of one country have in common: no accents, capitals, dots, order or filling words."""
    letters = normalize("NFKD", value).casefold()
    plain = "".join(letter for letter in letters if letter.isalnum() or letter in " -,/&()_")
    words = re.split(r"[^\w]+|_", plain)
    return frozenset({"st": "saint"}.get(word, word) for word in words if word and word not in _FILLERS)
