"""YateHSS: subscribers on a Yate HSS/HLR, over its JSON API (domain, 6.2)."""
