/*
 * Slack's short codes and the characters they stand for. A code that is not
 * here, such as a workspace's own emoji, stays text.
 */

const TABLE = `
grinning 😀 smiley 😃 smile 😄 grin 😁 laughing 😆 satisfied 😆 sweat_smile 😅
rolling_on_the_floor_laughing 🤣 joy 😂 slightly_smiling_face 🙂
upside_down_face 🙃 melting_face 🫠 wink 😉 blush 😊 innocent 😇
smiling_face_with_3_hearts 🥰 heart_eyes 😍 star-struck 🤩 kissing_heart 😘
kissing 😗 relaxed ☺️ kissing_closed_eyes 😚 kissing_smiling_eyes 😙
smiling_face_with_tear 🥲 yum 😋 stuck_out_tongue 😛
stuck_out_tongue_winking_eye 😜 zany_face 🤪 stuck_out_tongue_closed_eyes 😝
money_mouth_face 🤑 hugging_face 🤗 face_with_hand_over_mouth 🤭
face_with_peeking_eye 🫣 shushing_face 🤫 thinking_face 🤔 saluting_face 🫡
zipper_mouth_face 🤐 face_with_raised_eyebrow 🤨 neutral_face 😐
expressionless 😑 no_mouth 😶 dotted_line_face 🫥 smirk 😏 unamused 😒
face_with_rolling_eyes 🙄 grimacing 😬 lying_face 🤥 shaking_face 🫨
relieved 😌 pensive 😔 sleepy 😪 drooling_face 🤤 sleeping 😴 mask 😷
face_with_thermometer 🤒 face_with_head_bandage 🤕 nauseated_face 🤢
face_vomiting 🤮 sneezing_face 🤧 hot_face 🥵 cold_face 🥶 woozy_face 🥴
dizzy_face 😵 exploding_head 🤯 face_with_cowboy_hat 🤠 partying_face 🥳
disguised_face 🥸 sunglasses 😎 nerd_face 🤓 face_with_monocle 🧐 confused 😕
face_with_diagonal_mouth 🫤 worried 😟 slightly_frowning_face 🙁
white_frowning_face ☹️ open_mouth 😮 hushed 😯 astonished 😲 flushed 😳
pleading_face 🥺 face_holding_back_tears 🥹 frowning 😦 anguished 😧
fearful 😨 cold_sweat 😰 disappointed_relieved 😥 cry 😢 sob 😭 scream 😱
confounded 😖 persevere 😣 disappointed 😞 sweat 😓 weary 😩 tired_face 😫
yawning_face 🥱 triumph 😤 rage 😡 angry 😠 face_with_symbols_on_mouth 🤬
smiling_imp 😈 imp 👿 skull 💀 skull_and_crossbones ☠️ hankey 💩 poop 💩
clown_face 🤡 ghost 👻 alien 👽 space_invader 👾 robot_face 🤖 smiley_cat 😺
smile_cat 😸 joy_cat 😹 heart_eyes_cat 😻 scream_cat 🙀 crying_cat_face 😿
see_no_evil 🙈 hear_no_evil 🙉 speak_no_evil 🙊 love_letter 💌 cupid 💘
sparkling_heart 💖 heartpulse 💗 heartbeat 💓 two_hearts 💕 broken_heart 💔
heart ❤️ orange_heart 🧡 yellow_heart 💛 green_heart 💚 blue_heart 💙
purple_heart 💜 brown_heart 🤎 black_heart 🖤 white_heart 🤍 kiss 💋 100 💯
anger 💢 boom 💥 collision 💥 dizzy 💫 sweat_drops 💦 dash 💨 hole 🕳️
speech_balloon 💬 left_speech_bubble 🗨️ right_anger_bubble 🗯️
thought_balloon 💭 zzz 💤
wave 👋 raised_back_of_hand 🤚 raised_hand_with_fingers_splayed 🖐️ hand ✋
raised_hand ✋ spock-hand 🖖 ok_hand 👌 pinched_fingers 🤌 pinching_hand 🤏
v ✌️ crossed_fingers 🤞 hand_with_index_finger_and_thumb_crossed 🫰
i_love_you_hand_sign 🤟 the_horns 🤘 call_me_hand 🤙 point_left 👈
point_right 👉 point_up_2 👆 middle_finger 🖕 point_down 👇 point_up ☝️
+1 👍 thumbsup 👍 -1 👎 thumbsdown 👎 fist ✊ facepunch 👊 punch 👊
left-facing_fist 🤛 right-facing_fist 🤜 clap 👏 raised_hands 🙌
heart_hands 🫶 open_hands 👐 palms_up_together 🤲 handshake 🤝 pray 🙏
writing_hand ✍️ nail_care 💅 selfie 🤳 muscle 💪 leg 🦵 foot 🦶 ear 👂
nose 👃 brain 🧠 tooth 🦷 bone 🦴 eyes 👀 eye 👁️ tongue 👅 lips 👄 baby 👶
child 🧒 boy 👦 girl 👧 adult 🧑 man 👨 woman 👩 older_adult 🧓 older_man 👴
older_woman 👵 no_good 🙅 ok_woman 🙆 information_desk_person 💁
raising_hand 🙋 bow 🙇 face_palm 🤦 shrug 🤷 man-shrugging 🤷‍♂️
woman-shrugging 🤷‍♀️ man-facepalming 🤦‍♂️ woman-facepalming 🤦‍♀️ man-bowing 🙇‍♂️
woman-bowing 🙇‍♀️ man-raising-hand 🙋‍♂️ woman-raising-hand 🙋‍♀️
man-gesturing-no 🙅‍♂️ woman-gesturing-no 🙅‍♀️ man-gesturing-ok 🙆‍♂️
woman-gesturing-ok 🙆‍♀️ technologist 🧑‍💻 male-technologist 👨‍💻
female-technologist 👩‍💻 cop 👮 sleuth_or_spy 🕵️ guardsman 💂 ninja 🥷
construction_worker 👷 prince 🤴 princess 👸 angel 👼 santa 🎅 superhero 🦸
supervillain 🦹 mage 🧙 fairy 🧚 vampire 🧛 zombie 🧟 walking 🚶 runner 🏃
running 🏃 dancer 💃 man_dancing 🕺 dancers 👯 person_climbing 🧗 surfer 🏄
swimmer 🏊 bicyclist 🚴 juggling 🤹 person_in_lotus_position 🧘 bath 🛀
sleeping_accommodation 🛌 busts_in_silhouette 👥 bust_in_silhouette 👤
speaking_head_in_silhouette 🗣️ people_hugging 🫂 footprints 👣 family 👪
monkey_face 🐵 monkey 🐒 gorilla 🦍 dog 🐶 dog2 🐕 poodle 🐩 wolf 🐺
fox_face 🦊 raccoon 🦝 cat 🐱 cat2 🐈 black_cat 🐈‍⬛ lion_face 🦁 tiger 🐯
tiger2 🐅 leopard 🐆 horse 🐴 racehorse 🐎 unicorn_face 🦄 zebra_face 🦓
deer 🦌 cow 🐮 ox 🐂 water_buffalo 🐃 cow2 🐄 pig 🐷 pig2 🐖 boar 🐗
pig_nose 🐽 ram 🐏 sheep 🐑 goat 🐐 camel 🐫 llama 🦙 giraffe_face 🦒
elephant 🐘 rhinoceros 🦏 hippopotamus 🦛 mouse 🐭 mouse2 🐁 rat 🐀
hamster 🐹 rabbit 🐰 rabbit2 🐇 chipmunk 🐿️ beaver 🦫 hedgehog 🦔 bat 🦇
bear 🐻 koala 🐨 panda_face 🐼 sloth 🦥 otter 🦦 skunk 🦨 kangaroo 🦘
badger 🦡 feet 🐾 paw_prints 🐾 turkey 🦃 chicken 🐔 rooster 🐓
hatching_chick 🐣 baby_chick 🐤 hatched_chick 🐥 bird 🐦 penguin 🐧
dove_of_peace 🕊️ eagle 🦅 duck 🦆 swan 🦢 owl 🦉 flamingo 🦩 peacock 🦚
parrot 🦜 frog 🐸 crocodile 🐊 turtle 🐢 lizard 🦎 snake 🐍 dragon_face 🐲
dragon 🐉 sauropod 🦕 t-rex 🦖 whale 🐳 whale2 🐋 dolphin 🐬 flipper 🐬
fish 🐟 tropical_fish 🐠 blowfish 🐡 shark 🦈 octopus 🐙 shell 🐚 crab 🦀
lobster 🦞 shrimp 🦐 squid 🦑 snail 🐌 butterfly 🦋 bug 🐛 ant 🐜 bee 🐝
honeybee 🐝 beetle 🪲 ladybug 🐞 lady_beetle 🐞 cricket 🦗 cockroach 🪳
spider 🕷️ spider_web 🕸️ scorpion 🦂 mosquito 🦟 fly 🪰 worm 🪱 microbe 🦠
bouquet 💐 cherry_blossom 🌸 rosette 🏵️ rose 🌹 wilted_flower 🥀 hibiscus 🌺
sunflower 🌻 blossom 🌼 tulip 🌷 seedling 🌱 potted_plant 🪴
evergreen_tree 🌲 deciduous_tree 🌳 palm_tree 🌴 cactus 🌵 ear_of_rice 🌾
herb 🌿 shamrock ☘️ four_leaf_clover 🍀 maple_leaf 🍁 fallen_leaf 🍂
leaves 🍃 mushroom 🍄
grapes 🍇 melon 🍈 watermelon 🍉 tangerine 🍊 lemon 🍋 banana 🍌 pineapple 🍍
mango 🥭 apple 🍎 green_apple 🍏 pear 🍐 peach 🍑 cherries 🍒 strawberry 🍓
blueberries 🫐 kiwifruit 🥝 tomato 🍅 olive 🫒 coconut 🥥 avocado 🥑
eggplant 🍆 potato 🥔 carrot 🥕 corn 🌽 hot_pepper 🌶️ bell_pepper 🫑
cucumber 🥒 leafy_green 🥬 broccoli 🥦 garlic 🧄 onion 🧅 peanuts 🥜
chestnut 🌰 bread 🍞 croissant 🥐 baguette_bread 🥖 pretzel 🥨 bagel 🥯
pancakes 🥞 waffle 🧇 cheese_wedge 🧀 meat_on_bone 🍖 poultry_leg 🍗
cut_of_meat 🥩 bacon 🥓 hamburger 🍔 fries 🍟 pizza 🍕 hotdog 🌭 sandwich 🥪
taco 🌮 burrito 🌯 egg 🥚 fried_egg 🍳 cooking 🍳 stew 🍲 green_salad 🥗
popcorn 🍿 butter 🧈 salt 🧂 canned_food 🥫 bento 🍱 rice_cracker 🍘
rice_ball 🍙 rice 🍚 curry 🍛 ramen 🍜 spaghetti 🍝 sweet_potato 🍠 oden 🍢
sushi 🍣 fried_shrimp 🍤 fish_cake 🍥 moon_cake 🥮 dango 🍡 dumpling 🥟
fortune_cookie 🥠 takeout_box 🥡 icecream 🍦 shaved_ice 🍧 ice_cream 🍨
doughnut 🍩 cookie 🍪 birthday 🎂 cake 🍰 cupcake 🧁 pie 🥧
chocolate_bar 🍫 candy 🍬 lollipop 🍭 custard 🍮 honey_pot 🍯 baby_bottle 🍼
glass_of_milk 🥛 coffee ☕ teapot 🫖 tea 🍵 sake 🍶 champagne 🍾
wine_glass 🍷 cocktail 🍸 tropical_drink 🍹 beer 🍺 beers 🍻
clinking_glasses 🥂 tumbler_glass 🥃 cup_with_straw 🥤 bubble_tea 🧋
knife_fork_plate 🍽️ fork_and_knife 🍴 spoon 🥄 hocho 🔪 knife 🔪
earth_africa 🌍 earth_americas 🌎 earth_asia 🌏 globe_with_meridians 🌐
world_map 🗺️ japan 🗾 compass 🧭 snow_capped_mountain 🏔️ mountain ⛰️
volcano 🌋 mount_fuji 🗻 camping 🏕️ beach_with_umbrella 🏖️ desert 🏜️
desert_island 🏝️ national_park 🏞️ stadium 🏟️ classical_building 🏛️
building_construction 🏗️ bricks 🧱 rock 🪨 wood 🪵 hut 🛖 house 🏠
house_with_garden 🏡 office 🏢 post_office 🏣 hospital 🏥 bank 🏦 hotel 🏨
convenience_store 🏪 school 🏫 department_store 🏬 factory 🏭
japanese_castle 🏯 european_castle 🏰 wedding 💒 tokyo_tower 🗼
statue_of_liberty 🗽 church ⛪ fountain ⛲ tent ⛺ foggy 🌁
night_with_stars 🌃 cityscape 🏙️ sunrise_over_mountains 🌄 sunrise 🌅
city_sunset 🌆 city_sunrise 🌇 bridge_at_night 🌉 hotsprings ♨️
carousel_horse 🎠 ferris_wheel 🎡 roller_coaster 🎢 barber 💈
circus_tent 🎪 steam_locomotive 🚂 railway_car 🚃 bullettrain_side 🚄
bullettrain_front 🚅 train2 🚆 metro 🚇 station 🚉 tram 🚊 train 🚋 bus 🚌
ambulance 🚑 fire_engine 🚒 police_car 🚓 taxi 🚕 car 🚗 red_car 🚗
blue_car 🚙 truck 🚚 articulated_lorry 🚛 tractor 🚜 racing_car 🏎️
motor_scooter 🛵 bike 🚲 scooter 🛴 busstop 🚏 motorway 🛣️
railway_track 🛤️ fuelpump ⛽ wheel 🛞 rotating_light 🚨 traffic_light 🚥
vertical_traffic_light 🚦 octagonal_sign 🛑 construction 🚧 anchor ⚓
ring_buoy 🛟 boat ⛵ sailboat ⛵ canoe 🛶 speedboat 🚤 ship 🚢 airplane ✈️
small_airplane 🛩️ airplane_departure 🛫 airplane_arriving 🛬 parachute 🪂
seat 💺 helicopter 🚁 mountain_cableway 🚠 satellite 🛰️ rocket 🚀
flying_saucer 🛸 bellhop_bell 🛎️ luggage 🧳 hourglass ⌛
hourglass_flowing_sand ⏳ watch ⌚ alarm_clock ⏰ stopwatch ⏱️
timer_clock ⏲️ mantelpiece_clock 🕰️ clock12 🕛 clock1 🕐 clock2 🕑 clock3 🕒
clock4 🕓 clock5 🕔 clock6 🕕 clock7 🕖 clock8 🕗 clock9 🕘 clock10 🕙
clock11 🕚 new_moon 🌑 first_quarter_moon 🌓 full_moon 🌕 moon 🌔
crescent_moon 🌙 new_moon_with_face 🌚 full_moon_with_face 🌝
thermometer 🌡️ sunny ☀️ sun_with_face 🌞 star ⭐ star2 🌟 stars 🌠
milky_way 🌌 cloud ☁️ partly_sunny ⛅ thunder_cloud_and_rain ⛈️ tornado 🌪️
fog 🌫️ cyclone 🌀 rainbow 🌈 closed_umbrella 🌂 umbrella ☂️
umbrella_with_rain_drops ☔ zap ⚡ snowflake ❄️ snowman ☃️
snowman_without_snow ⛄ comet ☄️ fire 🔥 droplet 💧 ocean 🌊
jack_o_lantern 🎃 christmas_tree 🎄 fireworks 🎆 sparkler 🎇 firecracker 🧨
sparkles ✨ balloon 🎈 tada 🎉 confetti_ball 🎊 tanabata_tree 🎋 bamboo 🎍
dolls 🎎 flags 🎏 wind_chime 🎐 rice_scene 🎑 red_envelope 🧧 ribbon 🎀
gift 🎁 reminder_ribbon 🎗️ admission_tickets 🎟️ ticket 🎫 medal 🎖️
trophy 🏆 sports_medal 🏅 first_place_medal 🥇 second_place_medal 🥈
third_place_medal 🥉 soccer ⚽ baseball ⚾ basketball 🏀 volleyball 🏐
football 🏈 rugby_football 🏉 tennis 🎾 bowling 🎳 boxing_glove 🥊
goal_net 🥅 golf ⛳ ice_skate ⛸️ fishing_pole_and_fish 🎣 ski 🎿 sled 🛷
curling_stone 🥌 dart 🎯 yo-yo 🪀 kite 🪁 8ball 🎱 crystal_ball 🔮
magic_wand 🪄 video_game 🎮 joystick 🕹️ slot_machine 🎰 game_die 🎲
jigsaw 🧩 teddy_bear 🧸 spades ♠️ hearts ♥️ diamonds ♦️ clubs ♣️
chess_pawn ♟️ black_joker 🃏 mahjong 🀄 performing_arts 🎭
frame_with_picture 🖼️ art 🎨 thread 🧵 yarn 🧶 knot 🪢
eyeglasses 👓 dark_sunglasses 🕶️ goggles 🥽 lab_coat 🥼 safety_vest 🦺
necktie 👔 shirt 👕 tshirt 👕 jeans 👖 scarf 🧣 gloves 🧤 coat 🧥 socks 🧦
dress 👗 kimono 👘 purse 👛 handbag 👜 shopping_bags 🛍️
school_satchel 🎒 mans_shoe 👞 shoe 👞 athletic_shoe 👟 hiking_boot 🥾
high_heel 👠 boot 👢 crown 👑 womans_hat 👒 tophat 🎩 mortar_board 🎓
billed_cap 🧢 helmet_with_white_cross ⛑️ lipstick 💄 ring 💍 gem 💎
mute 🔇 speaker 🔈 sound 🔉 loud_sound 🔊 loudspeaker 📢 mega 📣
postal_horn 📯 bell 🔔 no_bell 🔕 musical_score 🎼 musical_note 🎵 notes 🎶
studio_microphone 🎙️ level_slider 🎚️ control_knobs 🎛️ microphone 🎤
headphones 🎧 radio 📻 saxophone 🎷 accordion 🪗 guitar 🎸
musical_keyboard 🎹 trumpet 🎺 violin 🎻 banjo 🪕 drum_with_drumsticks 🥁
iphone 📱 calling 📲 phone ☎️ telephone ☎️ telephone_receiver 📞 pager 📟
fax 📠 battery 🔋 low_battery 🪫 electric_plug 🔌 computer 💻
desktop_computer 🖥️ printer 🖨️ keyboard ⌨️ three_button_mouse 🖱️
trackball 🖲️ minidisc 💽 floppy_disk 💾 cd 💿 dvd 📀 abacus 🧮
movie_camera 🎥 film_frames 🎞️ film_projector 📽️ clapper 🎬 tv 📺 camera 📷
camera_with_flash 📸 video_camera 📹 vhs 📼 mag 🔍 mag_right 🔎 candle 🕯️
bulb 💡 flashlight 🔦 izakaya_lantern 🏮 lantern 🏮
notebook_with_decorative_cover 📔 closed_book 📕 book 📖 open_book 📖
green_book 📗 blue_book 📘 orange_book 📙 books 📚 notebook 📓 ledger 📒
page_with_curl 📃 scroll 📜 page_facing_up 📄 newspaper 📰
rolled_up_newspaper 🗞️ bookmark_tabs 📑 bookmark 🔖 label 🏷️ moneybag 💰
coin 🪙 yen 💴 dollar 💵 euro 💶 pound 💷 money_with_wings 💸 credit_card 💳
receipt 🧾 chart 💹 email ✉️ envelope ✉️ e-mail 📧 incoming_envelope 📨
envelope_with_arrow 📩 outbox_tray 📤 inbox_tray 📥 package 📦 mailbox 📫
mailbox_closed 📪 mailbox_with_mail 📬 mailbox_with_no_mail 📭 postbox 📮
ballot_box_with_ballot 🗳️ pencil2 ✏️ black_nib ✒️
lower_left_fountain_pen 🖋️ lower_left_ballpoint_pen 🖊️
lower_left_paintbrush 🖌️ lower_left_crayon 🖍️ memo 📝 pencil 📝
briefcase 💼 file_folder 📁 open_file_folder 📂 card_index_dividers 🗂️
date 📅 calendar 📆 spiral_note_pad 🗒️ spiral_calendar_pad 🗓️
card_index 📇 chart_with_upwards_trend 📈 chart_with_downwards_trend 📉
bar_chart 📊 clipboard 📋 pushpin 📌 round_pushpin 📍 paperclip 📎
linked_paperclips 🖇️ straight_ruler 📏 triangular_ruler 📐 scissors ✂️
card_file_box 🗃️ file_cabinet 🗄️ wastebasket 🗑️ lock 🔒 unlock 🔓
lock_with_ink_pen 🔏 closed_lock_with_key 🔐 key 🔑 old_key 🗝️ hammer 🔨
axe 🪓 pick ⛏️ hammer_and_pick ⚒️ hammer_and_wrench 🛠️ dagger_knife 🗡️
crossed_swords ⚔️ bomb 💣 boomerang 🪃 bow_and_arrow 🏹 shield 🛡️ wrench 🔧
screwdriver 🪛 nut_and_bolt 🔩 gear ⚙️ compression 🗜️ scales ⚖️
probing_cane 🦯 link 🔗 chains ⛓️ hook 🪝 toolbox 🧰 magnet 🧲 ladder 🪜
alembic ⚗️ test_tube 🧪 petri_dish 🧫 dna 🧬 microscope 🔬 telescope 🔭
satellite_antenna 📡 syringe 💉 drop_of_blood 🩸 pill 💊
adhesive_bandage 🩹 stethoscope 🩺 x-ray 🩻 door 🚪 elevator 🛗 mirror 🪞
window 🪟 bed 🛏️ couch_and_lamp 🛋️ chair 🪑 toilet 🚽 plunger 🪠 shower 🚿
bathtub 🛁 mouse_trap 🪤 razor 🪒 broom 🧹 basket 🧺 roll_of_paper 🧻
bucket 🪣 soap 🧼 bubbles 🫧 sponge 🧽 fire_extinguisher 🧯
shopping_trolley 🛒 smoking 🚬 coffin ⚰️ headstone 🪦 moyai 🗿 placard 🪧
identification_card 🪪
atm 🏧 put_litter_in_its_place 🚮 potable_water 🚰 wheelchair ♿ mens 🚹
womens 🚺 restroom 🚻 baby_symbol 🚼 wc 🚾 passport_control 🛂 customs 🛃
baggage_claim 🛄 left_luggage 🛅 warning ⚠️ children_crossing 🚸
no_entry ⛔ no_entry_sign 🚫 no_bicycles 🚳 no_smoking 🚭 do_not_litter 🚯
no_pedestrians 🚷 no_mobile_phones 📵 underage 🔞 radioactive_sign ☢️
biohazard_sign ☣️ arrow_up ⬆️ arrow_upper_right ↗️ arrow_right ➡️
arrow_lower_right ↘️ arrow_down ⬇️ arrow_lower_left ↙️ arrow_left ⬅️
arrow_upper_left ↖️ arrow_up_down ↕️ left_right_arrow ↔️
leftwards_arrow_with_hook ↩️ arrow_right_hook ↪️ arrow_heading_up ⤴️
arrow_heading_down ⤵️ arrows_clockwise 🔃 arrows_counterclockwise 🔄 back 🔙
end 🔚 on 🔛 soon 🔜 top 🔝 atom_symbol ⚛️ yin_yang ☯️ peace_symbol ☮️
aries ♈ taurus ♉ gemini ♊ cancer ♋ leo ♌ virgo ♍ libra ♎ scorpius ♏
sagittarius ♐ capricorn ♑ aquarius ♒ pisces ♓ ophiuchus ⛎
twisted_rightwards_arrows 🔀 repeat 🔁 repeat_one 🔂 arrow_forward ▶️
fast_forward ⏩ black_right_pointing_double_triangle_with_vertical_bar ⏭️
black_right_pointing_triangle_with_double_vertical_bar ⏯️
arrow_backward ◀️ rewind ⏪ arrow_up_small 🔼 arrow_double_up ⏫
arrow_down_small 🔽 arrow_double_down ⏬ double_vertical_bar ⏸️
black_square_for_stop ⏹️ black_circle_for_record ⏺️ eject ⏏️ cinema 🎦
low_brightness 🔅 high_brightness 🔆 signal_strength 📶 vibration_mode 📳
mobile_phone_off 📴 heavy_multiplication_x ✖️ heavy_plus_sign ➕
heavy_minus_sign ➖ heavy_division_sign ➗ heavy_equals_sign 🟰 infinity ♾️
bangbang ‼️ interrobang ⁉️ question ❓ grey_question ❔ grey_exclamation ❕
exclamation ❗ heavy_exclamation_mark ❗ wavy_dash 〰️ currency_exchange 💱
heavy_dollar_sign 💲 recycle ♻️ fleur_de_lis ⚜️ trident 🔱 name_badge 📛
beginner 🔰 o ⭕ white_check_mark ✅ ballot_box_with_check ☑️
heavy_check_mark ✔️ x ❌ negative_squared_cross_mark ❎ curly_loop ➰
loop ➿ part_alternation_mark 〽️ eight_spoked_asterisk ✳️
eight_pointed_black_star ✴️ sparkle ❇️ copyright ©️ registered ®️ tm ™️
hash #️⃣ keycap_star *️⃣ zero 0️⃣ one 1️⃣ two 2️⃣ three 3️⃣ four 4️⃣ five 5️⃣ six 6️⃣
seven 7️⃣ eight 8️⃣ nine 9️⃣ keycap_ten 🔟 capital_abcd 🔠 abcd 🔡 1234 🔢
symbols 🔣 abc 🔤 a 🅰️ ab 🆎 b 🅱️ cl 🆑 cool 🆒 free 🆓 information_source ℹ️
id 🆔 m Ⓜ️ new 🆕 ng 🆖 o2 🅾️ ok 🆗 parking 🅿️ sos 🆘 up 🆙 vs 🆚 koko 🈁
congratulations ㊗️ secret ㊙️ red_circle 🔴 large_orange_circle 🟠
large_yellow_circle 🟡 large_green_circle 🟢 large_blue_circle 🔵
large_purple_circle 🟣 large_brown_circle 🟤 black_circle ⚫ white_circle ⚪
large_red_square 🟥 large_orange_square 🟧 large_yellow_square 🟨
large_green_square 🟩 large_blue_square 🟦 large_purple_square 🟪
large_brown_square 🟫 black_large_square ⬛ white_large_square ⬜
black_medium_square ◼️ white_medium_square ◻️ black_small_square ▪️
white_small_square ▫️ large_orange_diamond 🔶 large_blue_diamond 🔷
small_orange_diamond 🔸 small_blue_diamond 🔹 small_red_triangle 🔺
small_red_triangle_down 🔻 diamond_shape_with_a_dot_inside 💠
radio_button 🔘 white_square_button 🔳 black_square_button 🔲
checkered_flag 🏁 triangular_flag_on_post 🚩 crossed_flags 🎌
waving_black_flag 🏴 waving_white_flag 🏳️ rainbow-flag 🏳️‍🌈 pirate_flag 🏴‍☠️
cn 🇨🇳 de 🇩🇪 es 🇪🇸 fr 🇫🇷 gb 🇬🇧 uk 🇬🇧 it 🇮🇹 jp 🇯🇵 kr 🇰🇷 ru 🇷🇺 us 🇺🇸
`;

const PICTURES = new Map(pairs(TABLE.trim().split(/\s+/)));
const FLAG = /^flag-([a-z])([a-z])$/;

function* pairs(words) {
	for (let i = 0; i + 1 < words.length; i += 2)
		yield [words[i], words[i + 1]];
}

function flag(name) {
	const found = FLAG.exec(name);

	return found && String.fromCodePoint(...found.slice(1).map((letter) =>
	    0x1f1e6 + letter.charCodeAt(0) - 0x61));
}

/* The skin tones are skin-tone-2 to -6; U+FE0F must not stand before one. */
function toned(picture, tone) {
	const first = String.fromCodePoint(picture.codePointAt(0));

	return first + String.fromCodePoint(0x1f3f9 + Number(tone.at(-1))) +
	    picture.slice(first.length).replace(/^\ufe0f/, "");
}

/* The characters for a short code without its colons, or null. */
export function emoji(name, tone = "") {
	const picture = PICTURES.get(name) ?? flag(name);

	return picture && tone ? toned(picture, tone) : picture;
}
